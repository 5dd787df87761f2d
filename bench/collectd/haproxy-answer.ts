/** What a real haproxy with so many members answers when it is asked for all that it counts. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { askHaproxy } from '../../agent/operations/haproxy-socket.ts'
import { waitUntil } from '../../lab/wait.ts'
import { testId } from '../../test/lab/agent-instructions.ts'
import type { Cleanup } from '../system/cleanup.ts'

const waitSeconds = 30

export async function readHaproxyAnswer(cleanup: Cleanup, members: number): Promise<string> {
  const folder = mkdtempSync(`${tmpdir()}/sluice-bench-`)
  const socket = `${folder}/haproxy.sock`
  const servers = Array.from({ length: members }, (_, index) => {
    return `  server ${testId('mch', index + 1)}.1f2e3d4c-aabbccdd 127.0.0.1:${20_000 + index}`
  })
  const config = `global
  stats socket ${socket} mode 600 level admin
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend listener_80
  bind 127.0.0.1:28080
  default_backend members_80
backend members_80
${servers.join('\n')}
`
  writeFileSync(`${folder}/haproxy.cfg`, config)
  const haproxy = Bun.spawn(['haproxy', '-db', '-f', `${folder}/haproxy.cfg`], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  cleanup.defer('a haproxy', async () => {
    haproxy.kill()
    await haproxy.exited
    rmSync(folder, { recursive: true })
  })
  let answer = ''
  await waitUntil(
    async () => {
      answer = await askHaproxy(socket, 'show info;show stat -1 7 -1').catch(() => '')
      return answer.includes('members_80')
    },
    { what: () => 'a haproxy to answer', timeoutSeconds: waitSeconds, intervalMilliseconds: 20 },
  )
  return answer
}
