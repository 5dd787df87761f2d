/** Waits for something to become true, with a bound. */

const pollMilliseconds = 10

/** Resolves once `isTrue` holds; throws after the timeout, naming what was waited for. */
export async function waitUntil(
  isTrue: () => boolean | Promise<boolean>,
  options: { readonly what: () => string; readonly timeoutSeconds: number; readonly intervalMilliseconds?: number },
): Promise<void> {
  const deadline = performance.now() + options.timeoutSeconds * 1000
  while (!(await isTrue())) {
    if (performance.now() >= deadline) {
      throw new Error(`waited ${options.timeoutSeconds} s in vain for ${options.what()}`)
    }
    await Bun.sleep(options.intervalMilliseconds ?? pollMilliseconds)
  }
}
