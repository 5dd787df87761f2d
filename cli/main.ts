/** The `sluice` command. The one file that exits; each noun is a file beside it. */

import { Command } from 'commander'
import { doctorCommand } from './doctor.ts'
import { labCommand } from './lab.ts'
import { describeError } from './output.ts'

const program = new Command('sluice')
  .description('Load balancers as a service and movable address space for a rack of plain Linux/KVM hosts')
  .enablePositionalOptions()
  .showHelpAfterError('(--help tells what there is)')

for (const command of [labCommand(), doctorCommand()]) program.addCommand(command)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`)
  process.exitCode = 1
}
