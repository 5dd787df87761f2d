/** The `sluice` command. The one file that exits. */

import { connectToController } from './api.ts'
import { describeError } from './output.ts'
import { createProgram } from './program.ts'

try {
  await createProgram(() => connectToController()).parseAsync()
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`)
  process.exitCode = 1
}
