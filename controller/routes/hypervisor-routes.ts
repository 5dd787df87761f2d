/** The libvirt of a host: set, shown with its capacity, given up; and what a plan may destroy after all. For admins. */

import { idSchema } from '../contract/common.ts'
import { allowHarmSchema, hypervisorSchema, hypervisorSettingsSchema } from '../contract/hypervisor.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import type { HypervisorsService } from '../hypervisor/hypervisors.ts'
import { commonProblems } from './parameters.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

const path = '/v1/hosts/{id}/hypervisor'
const common = { tag: 'host', access: 'admin', parameters: { id: idSchema('hst') } } as const
const problems = [...commonProblems, 'forbidden', 'not-found'] as const
const changeProblems = [...problems, 'malformed', 'conflict'] as const
const answers = [{ status: 200, description: "The host's libvirt", schema: hypervisorSchema }] as const

const answer = async (outcome: Promise<Outcome<unknown>>): Promise<Outcome<Answer>> => {
  const done = await outcome
  return done.ok ? succeed({ status: 200, body: done.value }) : done
}

export function createHypervisorRoutes(hypervisors: HypervisorsService): readonly Route[] {
  return [
    defineRoute(
      {
        ...common,
        method: 'GET',
        path,
        operationId: 'showHypervisor',
        summary: "Show a host's libvirt",
        answers,
        problems,
      },
      ({ parameters: { id = '' }, request }) => answer(hypervisors.show(id, request)),
    ),
    defineRoute(
      {
        ...common,
        method: 'PUT',
        path,
        operationId: 'setHypervisor',
        summary: "Say how a host's libvirt is reached",
        description: 'From then on the host is synced: it has a pool of ours, and the domains that are placed on it.',
        body: hypervisorSettingsSchema,
        answers,
        problems: changeProblems,
      },
      ({ parameters: { id = '' }, body, request }) => answer(hypervisors.set(id, body, request)),
    ),
    defineRoute(
      {
        ...common,
        method: 'DELETE',
        path,
        operationId: 'releaseHypervisor',
        summary: "Give a host's libvirt up",
        description: 'What is ours on it goes; what is not stays as it is.',
        answers,
        problems: changeProblems,
      },
      ({ parameters: { id = '' }, request }) => answer(hypervisors.release(id, request)),
    ),
    defineRoute(
      {
        ...common,
        method: 'POST',
        path: `${path}/allow`,
        operationId: 'allowHarm',
        summary: 'Let a plan destroy or replace what it was refused for',
        body: allowHarmSchema,
        answers,
        problems: changeProblems,
      },
      ({ parameters: { id = '' }, body, request }) => answer(hypervisors.allow(id, body, request)),
    ),
  ]
}
