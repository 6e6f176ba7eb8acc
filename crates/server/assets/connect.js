// Counts down, and shows at once that the code was used. The page does the same without, when loaded anew.
(() => {
  const shown = document.querySelector("[data-seconds]");
  if (!shown) return;
  const end = Date.now() + Number(shown.dataset.seconds) * 1000;
  const count = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    shown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (left === 0) location.reload();
    else setTimeout(count, 500);
  };
  const look = async () => {
    try {
      const page = await (await fetch(location.href)).text();
      if (!page.includes("data-seconds")) return location.reload();
    } catch {
      // The network is away; the next look tells.
    }
    setTimeout(look, 2000);
  };
  count();
  setTimeout(look, 2000);
})();
