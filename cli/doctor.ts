/** `sluice doctor`: what on this machine would get in the way, and the remedy. Only calls lab/. */

import { Command } from 'commander'
import { commandRunner } from '../lab/commands.ts'
import { examineMachine, type Finding } from '../lab/doctor.ts'
import { labNameDefault, labSettings, observeLab } from '../lab/lab.ts'
import { json } from './output.ts'

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('what on this machine would get in the way, and the remedy; exit code 1 when something fails')
    .option('--json', 'for programs', false)
    .action(async (options: { readonly json: boolean }) => {
      const isLabRunning = observeLab(labSettings({ name: labNameDefault })).status === 'running'
      const findings = await examineMachine(commandRunner('doctor'), { isLabRunning })
      console.log(options.json ? json({ findings }) : findings.map(describe).join('\n'))
      if (findings.some(({ status }) => status === 'fail')) process.exitCode = 1
    })
}

function describe({ name, status, detail, remedy }: Finding): string {
  const line = `${status.padEnd(4)}  ${name.padEnd(24)}  ${detail}`
  return remedy === undefined ? line : `${line}\n      remedy: ${remedy}`
}
