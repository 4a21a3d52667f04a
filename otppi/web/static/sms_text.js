// How long a text is as a short message: counts as otppi/web/sms_length.py does, by the table that it gives.

const PLAIN = {
  "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'", "‹": "<", "›": ">",
  "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"',
  "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "•": "*", "·": ".", "…": "...",
  "×": "x", "÷": "/", "¢": "c", "©": "(c)", "®": "(R)", "™": "(TM)", "°": "o", "½": "1/2", "¼": "1/4", "¾": "3/4",
  "\t": " ", "\u00ad": "", "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufe0f": "", "\ufeff": "",
};

/** Return what a text takes; see `Length` in otppi/web/sms_length.py. */
export function measure(text, table) {
  const characters = [...text.replace(/\r\n?/g, "\n")];
  const foreign = [...new Set(characters)].filter((one) => !isKnown(one, table));
  const septets = characters.map((one) => (table.extended.includes(one) ? 2 : 1));
  const partsWithout = cut(septets, table.septets);
  const [gsm7, ucs2] = table.codings;
  const [coding, widths, sizes] = foreign.length
    ? [ucs2, characters.map((one) => one.length), table.units]
    : [gsm7, septets, table.septets];
  const parts = cut(widths, sizes);
  const room = parts === 1 ? sizes[0] : parts * sizes[1];
  return { coding, parts, used: sum(widths), room, foreign, partsWithout };
}

/** Return a text with plain characters in the place of those that only look better; what has none stays. */
export function plain(text, table) {
  return [...text].map((one) => (isKnown(one, table) ? one : plainOf(one, table))).join("");
}

/** Return a character, or its code where there is nothing to see. */
export function named(one) {
  if (/[\p{L}\p{N}\p{P}\p{S}]/u.test(one)) return one;
  return `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function isKnown(one, table) {
  return one === "\r" || table.basic.includes(one) || table.extended.includes(one);
}

function plainOf(one, table) {
  if (one in PLAIN) return PLAIN[one];
  if (/\p{Zs}/u.test(one)) return " ";
  // A letter without its accent.
  const [base, ...marks] = one.normalize("NFD");
  return marks.length && isKnown(base, table) ? base : one;
}

/** Count the parts: no character is cut in two. */
function cut(widths, [alone, ofMany]) {
  if (sum(widths) <= alone) return 1;
  let parts = 1;
  let used = 0;
  for (const width of widths) {
    if (used + width > ofMany) {
      parts += 1;
      used = 0;
    }
    used += width;
  }
  return parts;
}

function sum(widths) {
  return widths.reduce((all, one) => all + one, 0);
}
