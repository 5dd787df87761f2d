import { expect, test } from 'bun:test'
import { readWrk } from './throughput.ts'

const summary = `Running 5s test @ http://198.18.32.5/
  1 threads and 64 connections
  1234 requests in 5.00s, 1.00MB read
`

test('what wrk prints is read', () => {
  expect(readWrk(`${summary}Requests/sec:   2345.67\n`)).toEqual({ requestsPerSecond: 2345.67, failed: 0 })
})

test('failures of sockets and statuses are added up', () => {
  const errors = '  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n'
  expect(readWrk(`${summary}${errors}Requests/sec: 10\n`).failed).toBe(15)
})

test('an output without a rate is refused', () => expect(() => readWrk(summary)).toThrow('no rate'))
