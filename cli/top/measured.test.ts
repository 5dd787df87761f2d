import { expect, test } from 'bun:test'
import { createMeasuredObjects } from './measured.ts'

const ids = Array.from({ length: 300 }, (_, i) => `lb_${i}`)
const never = new AbortController().signal

function createBench(objectsMaximum: number) {
  let at = 0
  const asked: string[] = []
  let atOnce = 0
  let atOnceMaximum = 0
  const measured = createMeasuredObjects({
    api: {
      open: async ({ query }) => {
        atOnceMaximum = Math.max(atOnceMaximum, ++atOnce)
        await Promise.resolve()
        atOnce -= 1
        asked.push(String(query?.object))
        return Response.json({ series: [{ measure: 'connections', values: [asked.length] }] })
      },
    },
    measures: ['connections'],
    now: () => at,
    objectsMaximum,
  })
  const look = async () => {
    asked.length = 0
    const found = await measured.read(ids, never)
    at += 2000
    return { asked: [...asked], known: found.size }
  }
  return { look, atOnceMaximum: () => atOnceMaximum }
}

test('of hundreds some are asked for at each look, and all before any is asked for again', async () => {
  const bench = createBench(64)
  const looks = [await bench.look(), await bench.look(), await bench.look(), await bench.look(), await bench.look()]
  expect(looks.map(({ asked }) => asked.length)).toEqual([64, 64, 64, 64, 44])
  expect(new Set(looks.flatMap(({ asked }) => asked)).size).toBe(300)
  expect(looks.map(({ known }) => known)).toEqual([64, 128, 192, 256, 300])
  expect((await bench.look()).asked).toEqual(ids.slice(0, 64))
  expect(bench.atOnceMaximum()).toBeLessThanOrEqual(8)
})

test('one look alone tells all of them', async () => {
  const bench = createBench(Number.POSITIVE_INFINITY)
  expect(await bench.look()).toMatchObject({ known: 300 })
})
