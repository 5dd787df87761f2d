import { expect, test } from 'bun:test'
import { startReconcileLoop } from './reconcile-loop.ts'

test('a loop that stood still says so before its next turn, and no other does', async () => {
  let now = 0
  const said: string[] = []
  const loop = startReconcileLoop({
    reconciler: {
      async turn() {
        said.push('turn')
        return { operations: 0, failures: [] }
      },
    },
    store: { subscribe: () => () => undefined },
    observed: { subscribe: () => () => undefined },
    logger: { warn: () => undefined },
    onStandstill: () => said.push('stood still'),
    now: () => now,
    tickSeconds: 3600,
  })
  await Bun.sleep(0)
  now += 2_900
  loop.wake()
  await Bun.sleep(0)
  now += 3_000
  loop.wake()
  await loop.close()
  expect(said).toEqual(['turn', 'turn', 'stood still', 'turn'])
})
