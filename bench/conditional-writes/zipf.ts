/** Numbers by Zipf's law. Pure but for the chance that it is given. */

/** The numbers 0 to count − 1, the first the most often: number i with a weight of 1 / (i + 1)^exponent. */
export function createZipf(count: number, exponent: number, random: () => number): () => number {
  const sums: number[] = []
  let sum = 0
  for (let i = 0; i < count; i++) {
    sum += 1 / (i + 1) ** exponent
    sums.push(sum)
  }
  return () => {
    const wanted = random() * sum
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}
