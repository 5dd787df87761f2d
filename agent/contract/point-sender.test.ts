import { describe, expect, test } from 'bun:test'
import { createPointSender, type PointMessage } from './point-sender.ts'
import { decodePoints, type Point, pointsHeldSecondsMaximum } from './points.ts'

const origin = { kind: 'host', host: 'a' } as const
const points = (count: number, timeSeconds = 1): Point[] =>
  Array.from({ length: count }, (_, index) => ({
    host: 'a',
    plugin: 'sluice_host',
    pluginInstance: '',
    type: 'host_load',
    typeInstance: `${index}`,
    timeSeconds,
    intervalSeconds: 10,
    values: [1],
  }))

function createWorld() {
  const stored: PointMessage[] = []
  const said: string[] = []
  const world = { seconds: 0, isAway: false, losesAnswers: false, stored, said }
  const sender = createPointSender({
    idPrefix: 'a.run',
    send: (message) => {
      if (world.isAway) return Promise.reject(new Error('nobody is there'))
      stored.push(message)
      return world.losesAnswers ? Promise.reject(new Error('no answer')) : Promise.resolve()
    },
    now: () => 1000 * world.seconds,
    log: (_, message) => said.push(message),
  })
  const times = () =>
    stored.flatMap(
      ({ payload }) => decodePoints('points.host.a', payload)?.points.map(({ timeSeconds }) => timeSeconds) ?? [],
    )
  return { world, sender, times }
}

describe('points', () => {
  test('are sent in order, and counted', async () => {
    const { sender, times } = createWorld()
    sender.add(origin, points(2, 1))
    sender.add(origin, points(1, 2))
    expect(sender.counts()).toEqual({ sent: 0, dropped: 0, waiting: 3 })
    await sender.flush()
    expect(times()).toEqual([1, 1, 2])
    expect(sender.counts()).toEqual({ sent: 3, dropped: 0, waiting: 0 })
  })

  test('of a large host go in several messages', async () => {
    const { world, sender, times } = createWorld()
    sender.add(origin, points(9001))
    await sender.flush()
    expect(world.stored).toHaveLength(3)
    expect(times()).toHaveLength(9001)
  })

  test('wait for ten minutes while NATS is away; then the oldest are dropped, and it is said', async () => {
    const { world, sender, times } = createWorld()
    world.isAway = true
    for (world.seconds = 10; world.seconds <= 900; world.seconds += 10) {
      sender.add(origin, points(3, world.seconds))
      await sender.flush()
    }
    world.seconds = 900
    const kept = pointsHeldSecondsMaximum / 10 + 1
    expect(sender.counts()).toEqual({ sent: 0, dropped: 3 * (90 - kept), waiting: 3 * kept })
    world.isAway = false
    await sender.flush()
    expect(times().length).toBe(3 * kept)
    expect(Math.min(...times())).toBe(900 - pointsHeldSecondsMaximum)
    expect(sender.counts()).toEqual({ sent: 3 * kept, dropped: 3 * (90 - kept), waiting: 0 })
    expect(world.said).toEqual([
      'NATS is away for so long that points are dropped',
      'points are kept again; these were dropped',
    ])
  })

  test('whose answer was lost are sent again by the same id', async () => {
    const { world, sender } = createWorld()
    world.losesAnswers = true
    sender.add(origin, points(1))
    await sender.flush()
    world.losesAnswers = false
    await sender.flush()
    expect(world.stored.map(({ id }) => id)).toEqual(['a.run.1', 'a.run.1'])
    expect(sender.counts()).toEqual({ sent: 1, dropped: 0, waiting: 0 })
  })
})
