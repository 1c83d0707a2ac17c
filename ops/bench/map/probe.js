/* Runs before the page's own scripts: how long each kind of them keeps the main thread, and how often a frame comes. */
(() => {
  const spent = { frame: [], message: [], other: 0 };
  const frames = [];
  const timed = (kind, listener) => (...given) => {
    const began = performance.now();
    try {
      return listener(...given);
    } finally {
      const took = performance.now() - began;
      if (kind === "other") spent.other += took;
      else spent[kind].push(took);
    }
  };
  const [nextFrame, later] = [requestAnimationFrame.bind(window), setTimeout.bind(window)];
  window.requestAnimationFrame = (listener) => nextFrame(timed("frame", listener));
  window.setTimeout = (listener, ...rest) => later(typeof listener === "function" ? timed("other", listener) : listener, ...rest);
  const listen = WebSocket.prototype.addEventListener;
  WebSocket.prototype.addEventListener = function (name, listener, ...rest) {
    listen.call(this, name, name === "message" ? timed("message", listener) : listener, ...rest);
  };
  const tick = (nowMs) => {
    frames.push(nowMs);
    nextFrame(tick);
  };
  nextFrame(tick);
  window.probe = {
    begin() {
      frames.length = spent.frame.length = spent.message.length = spent.other = 0;
    },
    end: () => ({ frames: [...frames], frame_ms: [...spent.frame], message_ms: [...spent.message], other_ms: spent.other }),
  };
})();
