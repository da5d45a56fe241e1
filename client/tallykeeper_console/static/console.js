// The keys and the theme of the console. Both work in the browser alone, without a call to the server.
"use strict";

(() => {
  const THEMES = { auto: "auto", light: false, dark: true };
  const SIGNS = { auto: "◐", light: "○", dark: "●" };
  const STORED = "tallykeeper-theme";
  const CHORD_MS = 1500;
  let chordUntil = 0;
  let focused = null;

  function theme() {
    const stored = localStorage.getItem(STORED);
    return stored in THEMES ? stored : "auto";
  }

  function showTheme() {
    const name = theme();
    window.Quasar.Dark.set(THEMES[name]);
    const button = document.querySelector('[data-action="theme"]');
    if (button) {
      button.textContent = SIGNS[name];
      button.setAttribute("aria-label", `Theme: ${name} (t)`);
      button.title = `Theme: ${name} (t)`;
    }
  }

  function nextTheme() {
    const names = Object.keys(THEMES);
    localStorage.setItem(STORED, names[(names.indexOf(theme()) + 1) % names.length]);
    showTheme();
  }

  function showKeys() {
    const dialog = document.getElementById("keys");
    if (!dialog.open) dialog.showModal();
  }

  function moveRow(step) {
    const rows = [...document.querySelectorAll(".row-link")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1);
    rows[to].focus();
    rows[to].scrollIntoView({ block: "nearest" });
  }

  function press(keys) {
    const target = document.querySelector(`[data-keys="${keys}"]`);
    target?.click();
    return Boolean(target);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, textarea, select, [contenteditable], .q-dialog, dialog");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      else if (event.key === "ArrowDown" && event.target.matches("input.search")) {
        event.preventDefault();
        moveRow(1);
      }
      return;
    }
    let used = true;
    if (event.timeStamp < chordUntil) {
      used = press(`g ${event.key}`);
      chordUntil = 0;
    } else if (event.key === "g") chordUntil = event.timeStamp + CHORD_MS;
    else if (event.key === "/") document.querySelector("[data-search] input, input[data-search]")?.focus();
    else if (event.key === "t") nextTheme();
    else if (event.key === "?") showKeys();
    else if (event.key === "[" || event.key === "]") used = press(event.key);
    else if (event.key === "ArrowDown" || event.key === "j") moveRow(1);
    else if (event.key === "ArrowUp" || event.key === "k") moveRow(-1);
    else used = false;
    if (used) event.preventDefault();
  }

  function onClick(event) {
    const action = event.target.closest("[data-action]")?.dataset.action;
    if (action === "theme") nextTheme();
    else if (action === "keys") showKeys();
    // In a narrow window the pages' names lie over the page. They go away with the choice of one.
    if (event.target.closest(".side .nav")) document.querySelector(".q-drawer__backdrop")?.click();
  }

  // NiceGUI replaces all rows of a table when one of them changes. The focus then goes to the new element of its row.
  function onFocus(event) {
    if (event.target.matches(".q-virtual-scroll__content")) {
      // Quasar moves the focus here when it replaces rows.
      if (focused?.isConnected) focused.focus({ preventScroll: true });
      return;
    }
    focused = event.target.dataset?.focus ? event.target : null;
  }

  function keepFocus() {
    if (!focused || focused.isConnected) return;
    const name = focused.dataset.focus;
    const again = [...document.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === name);
    if (again) again.focus({ preventScroll: true });
  }

  function begin() {
    if (!window.Quasar || !document.querySelector('[data-action="theme"]')) {
      requestAnimationFrame(begin);
      return;
    }
    showTheme();
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  document.addEventListener("focusin", onFocus);
  new MutationObserver(keepFocus).observe(document, { childList: true, subtree: true });
  begin();
})();
