import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { renderAgentUnit } from './agent-unit.ts'
import { expectGolden } from './golden/expect-golden.ts'

const rendered = renderAgentUnit({ argv: ['/usr/local/bin/sluice-agent', 'run'] })
/** Out of 10: what systemd itself thinks of a unit that must make namespaces. A plain one has 9.6. */
const exposureMaximum = 6

test('the unit', () => expectGolden('sluice-agent.service', rendered))

test('blanks, quotes, percents and dollars in its arguments stay what they are', () => {
  const unit = renderAgentUnit({ argv: ['/opt/a b/agent', 'run', '--configuration', '/etc/50%/$x"\\'] })
  expect(unit).toContain('ExecStart="/opt/a b/agent" "run" "--configuration" "/etc/50%%/$$x\\"\\\\"\n')
})

/**
 * From systemd.exec(5): each of these gives a unit mounts of its own, and then the namespaces that the agent makes are
 * seen by no daemon.
 */
test('nothing in it gives it a mount namespace of its own', () => {
  const settings = rendered.split('\n').map((line) => line.split('=', 1)[0] ?? '')
  const isolating =
    /^(Private\w+|Protect(?!Clock$)\w+|(ReadOnly|ReadWrite|Inaccessible|Exec|NoExec|Bind\w*)Paths|TemporaryFileSystem|MountFlags|ProcSubset|DynamicUser|Root\w+|\w+Directory|LogNamespace|NetworkNamespacePath|UMask)$/
  expect(settings.filter((setting) => isolating.test(setting))).toEqual([])
})

test('systemd accepts it, and finds it less exposed than most', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-unit-'))
  try {
    const unit = join(folder, 'sluice-agent.service')
    // A program that is there, since systemd looks.
    writeFileSync(unit, renderAgentUnit({ argv: ['/bin/true', 'run'] }))
    const verified = Bun.spawnSync(['systemd-analyze', 'verify', unit])
    expect(verified.stderr.toString()).not.toContain(unit)
    expect(verified.exitCode).toBe(0)
    const judged = Bun.spawnSync(['systemd-analyze', 'security', '--offline=true', '--no-pager', unit])
    const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(judged.stdout.toString())?.[1]
    expect(Number(exposure)).toBeLessThanOrEqual(exposureMaximum)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
