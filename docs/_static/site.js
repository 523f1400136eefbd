// The arrows that fold the list of pages have no name for who cannot see them.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll("summary")) {
    if (!arrow.textContent.trim() && !arrow.hasAttribute("aria-label")) {
      const page = arrow.closest("li")?.querySelector("a");
      arrow.setAttribute("aria-label", `Pages below ${page?.textContent.trim() ?? "this one"}`);
    }
  }
});
