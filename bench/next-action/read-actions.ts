/** Reads the log of a real cloud account's API calls: who did what when. Touches that one file. */

import { readFileSync } from 'node:fs'
import type { UserAction } from '../../controller/prediction/next-action/action.ts'

/** Beside the repository, as they are not ours to give away; or where SLUICE_ACTIONS says. */
const actionsFolder = process.env.SLUICE_ACTIONS ?? new URL('../../../shared/data/actions', import.meta.url).pathname
const actionsFile = `${actionsFolder}/cloudtrail/stratus_20230710.csv`

export interface LoggedAction extends UserAction {
  /** It changed nothing. */
  readonly isRead: boolean
}

/**
 * In the file's order. It says nothing of what actions used but this: that one was refused because its user had used up
 * what it may have of requests, and that one was refused for another reason.
 */
export function readActions(): readonly LoggedAction[] {
  const [header = '', ...lines] = readFileSync(actionsFile, 'utf8').trim().split('\n')
  const names = header.split(',')
  return lines.map((line) => {
    const fields = line.split(',')
    const field = (name: string) => fields[names.indexOf(name)] ?? ''
    const error = field('error')
    return {
      userAccountId: field('principal'),
      actionType: field('event'),
      at: Date.parse(field('time')),
      isRead: field('readOnly') === 'True',
      resourceUsage: { loadShare: error.includes('Throttling') ? 1 : error === '' ? 0 : 0.5 },
    }
  })
}
