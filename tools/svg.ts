const signs: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text of others as text of an SVG. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => signs[sign]);
}
