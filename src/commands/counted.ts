// A number of things, as it stands in a sentence.

/** So many of `what`, such as `1 room` and `1,234 rooms`. */
export function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}
