import { expect, test } from 'bun:test'
import * as v from 'valibot'
import { plainTraffic } from '../../templates/plain-traffic.ts'
import { trafficSchema } from '../contract/traffic-instructions.ts'

test('instructions that say nothing of traffic mean what the template takes for granted', () => {
  expect(v.parse(trafficSchema, {})).toEqual(plainTraffic)
})
