// Keeps the list of traces current.

async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href);
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.querySelector("#traces").replaceWith(document.adoptNode(page.querySelector("#traces")));
}

setInterval(() => refresh().catch(() => {}), 2000);
