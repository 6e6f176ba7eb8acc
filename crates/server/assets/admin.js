// Keeps the figures fresh while somebody looks. The page does the same without, by loading itself anew.
(() => {
  const look = async () => {
    if (!document.hidden) {
      try {
        const text = await (await fetch(location.href, { credentials: "same-origin" })).text();
        const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-live]");
        if (!fresh) return location.reload();
        document.querySelector("[data-live]").replaceWith(fresh);
      } catch {
        // The network is away; the next look tells.
      }
    }
    setTimeout(look, 10000);
  };
  setTimeout(look, 10000);
})();
