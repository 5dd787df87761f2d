/** Installs the agent's own unit where systemd runs. Touches /etc/systemd/system/sluice-agent.service. */

import { renderAgentUnit } from '../../templates/agent-unit.ts'
import { detectSystemd } from './daemons.ts'
import { executeFileOperation } from './files.ts'
import { runCommand } from './run-command.ts'

export const agentUnit = 'sluice-agent.service'
const unitFile = `/etc/systemd/system/${agentUnit}`

/** False: there is no systemd here. Throws where it is and refuses. */
export async function installAgentUnit(argv: readonly string[]): Promise<boolean> {
  if (!detectSystemd()) return false
  const failure = executeFileOperation({
    kind: 'writeFile',
    path: unitFile,
    content: renderAgentUnit({ argv }),
    mode: 0o644,
  })
  if (failure !== undefined) throw new Error(`${unitFile} could not be written: ${failure}`)
  // A restart, since an agent that runs already must take the new credentials; what it started stays.
  for (const command of [['daemon-reload'], ['enable', agentUnit], ['restart', agentUnit]]) {
    const result = await runCommand(['systemctl', ...command])
    if (result.exitCode !== 0) throw new Error(`systemctl ${command.join(' ')} failed: ${result.stderr.trim()}`)
  }
  return true
}
