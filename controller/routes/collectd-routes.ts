/** Points of a project's own collectds, as their write_http plugin posts them. */

import * as v from 'valibot'
import { listsOfBody, writeHttpSchema } from '../../agent/contract/collectd/write-http.ts'
import { idSchema } from '../contract/common.ts'
import { succeed } from '../contract/problem.ts'
import type { CollectdRequests } from '../observed/collectd/collectd-entry.ts'
import { commonProblems } from './parameters.ts'
import { refuseParameter } from './parse.ts'
import { defineRoute, type Route } from './route.ts'

const takenSchema = v.object({ taken: v.number(), refused: v.number() })

export function createCollectdRoutes(collectd: CollectdRequests): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'POST',
        path: '/v1/collectd',
        operationId: 'takePoints',
        tag: 'metrics',
        summary: 'Take points of a collectd',
        description:
          "What collectd's write_http plugin posts, with the header `Authorization: Bearer <token>`. The points belong to the token's project, whatever host they name; an admin says which by `projectId`. Those that come twice, are late, early or of an unknown type are refused one by one, the others taken.",
        access: 'bearer',
        query: v.strictObject({ projectId: v.optional(idSchema('prj')) }),
        body: writeHttpSchema,
        answers: [{ status: 200, description: 'How many were taken, and how many refused', schema: takenSchema }],
        problems: commonProblems,
      },
      ({ query, body, request }) => {
        const own = request.caller.projectId
        const projectId = query.projectId ?? own
        if (projectId === null) {
          return Promise.resolve(refuseParameter('projectId', 'is missing', 'An admin says whose points they are.'))
        }
        if (own !== null && own !== projectId) {
          return Promise.resolve(refuseParameter('projectId', 'is another than the token is of', 'Leave it out.'))
        }
        const taken = collectd.take(projectId, listsOfBody(body))
        return Promise.resolve(succeed({ status: 200, body: { taken, refused: body.length - taken } }))
      },
    ),
  ]
}
