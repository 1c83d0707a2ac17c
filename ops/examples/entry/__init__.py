"""An entry system beside the twin: asks it for each vehicle, opens the gate, and knows what to do without it."""
