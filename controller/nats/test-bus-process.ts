/** A process that holds a bus open until it is ended, so that a test can kill a controller. `bun test-bus-process.ts FOLDER LISTEN` */

import { openBus } from './bus.ts'
import { silentLogger } from './test-bus.ts'

const [stateFolder = '', listen = ''] = process.argv.slice(2)
const bus = await openBus({ stateFolder, listen, logger: silentLogger })
process.stdout.write(`${JSON.stringify(bus.status())}\n`)
