import { describe, expect, test } from 'bun:test'
import type { Api, ApiRequest } from './api.ts'
import { buildBody } from './body-fields.ts'
import { listener, loadBalancerNoun } from './nouns/load-balancer.ts'
import { machineNoun } from './nouns/machine.ts'
import { projectNoun } from './nouns/project.ts'
import { resolveId } from './resolve.ts'

const id = (prefix: string, letter: string) => `${prefix}_${letter.repeat(25)}`

/** Answers lists as the controller does, from these objects by path. */
function apiOf(objects: Record<string, { id: string; name: string; projectId: string | null }[]>) {
  const requests: ApiRequest[] = []
  const api: Api = {
    address: 'http://controller',
    token: 'secret',
    call: async (request) => {
      requests.push(request)
      const { name, projectId } = request.query ?? {}
      const items = (objects[request.path] ?? []).filter(
        (one) => one.name === name && (projectId === undefined || one.projectId === projectId),
      )
      return { items, next: null }
    },
    open: () => Promise.reject(new Error('nothing is opened here')),
  }
  return { api, requests }
}

const { api } = apiOf({
  '/v1/projects': [
    { id: id('prj', 'a'), name: 'shop', projectId: null },
    { id: id('prj', 'b'), name: 'blog', projectId: null },
  ],
  '/v1/networks': [
    { id: id('net', 'a'), name: 'front', projectId: id('prj', 'a') },
    { id: id('net', 'b'), name: 'front', projectId: id('prj', 'b') },
  ],
  '/v1/machines': [{ id: id('mch', 'a'), name: 'web-1', projectId: id('prj', 'a') }],
})

describe('a body', () => {
  test('has what the options say, names looked up in the project', async () => {
    const fields = loadBalancerNoun.create?.fields ?? []
    const options = {
      project: 'shop',
      network: 'front',
      type: 'http',
      listener: ['80', '443:8443'],
      member: ['198.18.16.11', '198.18.16.12:8080', 'http://198.18.16.13:81', 'web-1:90'],
      check: 'http',
      checkPath: '/healthz',
      checkInterval: '2',
      autoScaling: 'false',
    }
    expect(await buildBody(api, fields, options)).toEqual({
      projectId: id('prj', 'a'),
      networkId: id('net', 'a'),
      trafficType: 'http',
      listeners: [{ port: 80 }, { port: 443, memberPort: 8443 }],
      members: [
        { address: '198.18.16.11' },
        { address: '198.18.16.12', port: 8080 },
        { url: 'http://198.18.16.13:81' },
        { machineId: id('mch', 'a'), port: 90 },
      ],
      healthCheck: { protocol: 'http', path: '/healthz', intervalSeconds: 2 },
      autoScaling: false,
    })
  })

  test('lacks what was not given, and says what is needed', async () => {
    const fields = machineNoun.create?.fields ?? []
    await expect(buildBody(api, fields, { project: 'shop' })).rejects.toThrow('--network is needed')
    const body = await buildBody(api, fields, { project: 'shop', network: 'front', workload: ['web:80', 'echo:7000'] })
    expect(body.workloads).toEqual([
      { kind: 'web', port: 80 },
      { kind: 'echo', port: 7000 },
    ])
    expect(Object.keys(body)).toEqual(['projectId', 'networkId', 'workloads'])
  })

  test('puts what belongs together together', async () => {
    const fields = projectNoun.create?.fields ?? []
    expect(await buildBody(api, fields, { user: 'john', quotaMachines: '5', quotaLoadBalancers: '2' })).toEqual({
      user: 'john',
      quota: { machines: 5, loadBalancers: 2 },
    })
  })

  test('refuses what is no number, by the name of its option', async () => {
    const fields = projectNoun.create?.fields ?? []
    await expect(buildBody(api, fields, { user: 'john', quotaPools: 'many' })).rejects.toThrow(
      '--quota-pools takes a number; "many" is none',
    )
    expect(() => listener('http', { api, flag: '--listener', projectId: undefined })).toThrow('"http" is none')
  })
})

describe('a name', () => {
  test('that is an id is taken as it is, without a question', async () => {
    const { api: asked, requests } = apiOf({})
    expect(await resolveId(asked, 'network', id('net', 'c'))).toBe(id('net', 'c'))
    expect(requests).toEqual([])
  })

  test('that nothing has, or several have, is an error that says what to do', async () => {
    await expect(resolveId(api, 'network', 'back')).rejects.toThrow('there is no network "back"')
    await expect(resolveId(api, 'network', 'front')).rejects.toThrow('give --project, or its id')
    expect(await resolveId(api, 'network', 'front', id('prj', 'b'))).toBe(id('net', 'b'))
  })
})
