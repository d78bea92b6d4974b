// Draws REST's description as a page to read and try. Requests are made as whoever is signed in, or with a key.
const place = document.getElementById("api-docs");
const isDark = matchMedia("(prefers-color-scheme: dark)");

function wearColours() {
  document.documentElement.classList.toggle("dark-mode", isDark.matches);
}

isDark.addEventListener("change", wearColours);
wearColours();
SwaggerUIBundle({
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor(request) {
    if (!["GET", "HEAD", undefined].includes(request.method)) {
      request.headers["X-CSRFToken"] = place.dataset.csrfToken;
    }
    return request;
  },
});
