/** A control plane of one controller that holds nothing. Only tests use it. */

import { succeed } from '../contract/problem.ts'
import type { ControlPlaneService } from './control-plane-service.ts'

export function createTestControlPlane(): ControlPlaneService {
  return {
    listControllers: () => [
      {
        name: 'controller-1',
        address: 'http://198.18.0.254:7480',
        version: '1.0.0',
        status: 'present',
        since: '2026-01-01T00:00:00.000Z',
        leads: ['reconcile'],
        isSelf: true,
      },
    ],
    showStore: async () => ({ mode: 'embedded', status: 'available', replicas: 1, nodes: [], streams: [] }),
    async *backup() {},
    beginRestore: async () => succeed({ written: 0, kept: 0 }),
    restore: async (messages) => succeed({ written: messages.length, kept: 0 }),
  }
}
