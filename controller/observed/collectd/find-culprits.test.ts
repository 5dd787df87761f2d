import { expect, test } from 'bun:test'
import type { HostReport } from '../../../agent/contract/host-report.ts'
import { culpritsOfExplosions, culpritsOfReports } from './find-culprits.ts'

const now = Date.parse('2026-01-01T00:10:00Z')
const at = (time: string) => {
  const explosion = { at: time, series: 5000, culprit: 'mad', culpritSeries: 4900 }
  const points = { sent: 1, dropped: 0, waiting: 0, refused: { tooManySeries: 77 }, explosion }
  const report: HostReport = {
    format: 1,
    host: 'host-a',
    generation: 1,
    agentVersion: '1',
    bootId: 'b',
    sequence: 1,
    startedAt: time,
    reportedAt: time,
    networks: [],
    machines: [],
    instances: [],
    points,
  }
  return { all: () => new Map([['host-a', { report, receivedAt: now }]]) }
}

test('a host that has reported an explosion of late is named, with the plugin that made it', () => {
  expect(culpritsOfReports(at('2026-01-01T00:09:50Z'), now)).toEqual([
    { owner: 'host-a', projectId: null, seriesMaximum: 5000, host: 'host-a', plugin: 'mad', refused: 77 },
  ])
  expect(culpritsOfReports(at('2026-01-01T00:00:00Z'), now)).toEqual([])
})

test('whoever sends to the controller is named by its host or its project', () => {
  const projectId = 'prj_0000000000000000000000001'
  const explosion = { series: 50, culprit: 'mad', culpritSeries: 49, refused: 3 }
  const found = culpritsOfExplosions([
    { ...explosion, sender: 'points.host.host-b' },
    { ...explosion, sender: `points.project.${projectId}` },
  ])
  const common = { seriesMaximum: 50, plugin: 'mad', refused: 3 }
  expect(found).toEqual([
    { ...common, owner: 'host-b', projectId: null, host: 'host-b' },
    { ...common, owner: projectId, projectId, host: '' },
  ])
})
