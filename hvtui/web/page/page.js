// The terminal has the keyboard at once; its script makes it when the page has loaded.
window.addEventListener("load", () => {
  document.querySelector(".xterm-helper-textarea")?.focus();
});
