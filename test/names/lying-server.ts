/** A process that says yes to whatever a name server is asked, and signs nothing: `lying-server.ts ADDRESS PORT`. */

import { decodeMessage, encodeMessage } from '../../controller/names/wire/message.ts'
import { startForgingServer } from './forging-server.ts'

const [host = '127.0.0.1', port = '53'] = process.argv.slice(2)

const liar = await startForgingServer(
  (request) => {
    const decoded = decodeMessage(request)
    if (decoded.kind === 'malformed') return []
    const yes = { isAnswer: true, isAuthoritative: true, answers: [], authorities: [], additionals: [] }
    return [encodeMessage({ ...decoded.message, ...yes })]
  },
  { host, port: Number(port) },
)
console.log(`lies on port ${liar.port}`)
