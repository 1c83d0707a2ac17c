"""Training of the models that ``perception`` runs. torch is imported only in here."""
