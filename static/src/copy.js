// Buttons that copy, where the browser lets them; and marks at the fields that differ from the run one starts from.
document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element && event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  const word = button.querySelector("[data-copy-word]");
  const before = (button.dataset.word ??= word.textContent);
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    word.textContent = word.dataset.copied;
  } catch {
    window.getSelection().selectAllChildren(source);
    source.select?.();
    word.textContent = word.dataset.selected;
  }
  setTimeout(() => (word.textContent = before), 2500);
});

const showCopyButtons = () =>
  document.querySelectorAll("[data-copy][hidden]").forEach((button) => button.removeAttribute("hidden"));

function markChanges() {
  document.querySelectorAll(".field-was").forEach((mark) => mark.remove());
  document.querySelectorAll("#comparison [data-changed]").forEach((row) => {
    const field = document.getElementById(`id_${row.dataset.changed}`)?.closest(".field");
    if (!field) return;
    const mark = document.createElement("p");
    mark.className = "field-was";
    mark.textContent = row.dataset.was;
    field.append(mark);
  });
}

const refresh = () => {
  showCopyButtons();
  markChanges();
};
document.addEventListener("DOMContentLoaded", refresh);
document.addEventListener("htmx:afterSettle", (event) => {
  refresh();
  // Whoever asked for it is led there, with the keyboard and the eye.
  if (event.target.id === "copies") event.target.focus();
});
