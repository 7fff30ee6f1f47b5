"""Exact range search over 256-bit pdqs: multi-index hashing in its ring form, compiled by numba.

**Layout.** A pdq is a 16 × 16 matrix of bits over the DCT's rows and columns. Chunk j is its
anti-diagonal j, the 16 bits with (row + column) mod 16 = j: of all ways tried, this one makes
neighbouring bits, which correlate in photographs, fall into different chunks. Any fixed bijection
of the bits keeps distances, so exactness does not depend on it.

For each j there is a table of the rows, sorted by chunk j (65,536 buckets, found by their starts).
An entry of table j is the *next* chunk of its row, chunk (j + 1) mod 16, which serves as a filter,
and in a parallel array the row's number.

**Why nothing is missed.** Let x_j be the distance of two pdqs within chunk j, and the sum of the
sixteen x_j at most 16 q - 1, for q = 2: at most 31. Walk around the ring of chunks and add up
x_j - q. A whole round sums to less than 0, so by the cycle lemma there is a start j from which
every partial sum is less than 0. The first partial sum says x_j ≤ q - 1, the second
x_j + x_{j+1} ≤ 2 q - 1. So in some table j the row stands in a bucket whose number is at most
q - 1 bits from the question's chunk j, and its filter is near enough to the question's chunk
j + 1; a query that looks at all those buckets in all tables, with that filter, meets the row.
(Qin and Xiao: "Pigeonring: a principle for faster thresholded similarity search", PVLDB 12(1),
2018, theorem 3, here with chain length 2; the cycle lemma is Dvoretzky and Motzkin's, 1947.)

For q = 2 that is 16 × 17 buckets. Of a million uniform rows they hold about 4,150, of which 11
pass the filter. q = 1 serves distances to 15 with 16 buckets, q = 3 those to 47 with 16 × 137.
Beyond, and where the buckets of a question are so full that it is quicker, all rows are scanned.

**Crowds.** Rows that surround one value in great number are in no table: they are kept by families,
in bundles that a question mostly passes over unread (`families`; the proof is in `family_search`).

**Why nothing is said twice.** A row may be met by several tables. It is reported only by the lowest
table that accepts it, which any table can tell from the row alone: no set of what was met is kept.

Modules: `lanes` (words and vectors of words), `chunks` (bits to chunks), `families` and `building`
(what a segment is made of), `rows`, `searching` and `family_search` (one question), `batches`
(many), `layout` (what the kernels are given).
Docs: docs/adr/0008 for what was measured and not taken.
"""
