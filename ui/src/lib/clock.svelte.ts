// The present, ticking once a second while the page is seen, so that ages stay true.

let now = $state(Date.now());

setInterval(() => {
  if (document.visibilityState === "visible") now = Date.now();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") now = Date.now();
});

export const clock = {
  /** Milliseconds since 1970; reading it in markup follows the ticks. */
  get now() {
    return now;
  },
};
