// Talking to the server: changes with the CSRF token, and pieces of a page fetched anew.

const token = () => document.querySelector('meta[name="csrf-token"]').content;

/** POST without a body; true where the server did it. */
export async function post(address) {
  const response = await fetch(address, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRFToken": token() },
  });
  if (response.status === 401) location.reload();
  return response.ok;
}

/** Fetch JSON; null where there is none to be had now. */
export async function get(address) {
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    if (response.status === 401) location.reload();
    return response.ok ? await response.json() : null;
  } catch {
    return null; // the server is away for a moment
  }
}

/** Replace the element of this id by the one that the page at the address has now; false where it has none. */
export async function swap(id, address = location.href) {
  const page = await load(address);
  return page !== null && replace(page, id);
}

/** Fetch a page; null where there is none to be had now. */
export async function load(address = location.href) {
  try {
    const response = await fetch(address);
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  } catch {
    return null; // the server is away for a moment
  }
}

/** Replace the element of this id by that of a fetched page; false where one of the two has none. */
export function replace(page, id) {
  const old = document.getElementById(id);
  const fresh = page.getElementById(id);
  if (!fresh || !old) return false;
  old.replaceWith(document.adoptNode(fresh));
  return true;
}
