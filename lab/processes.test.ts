import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { findMarkedProcesses, findProcessesOfFolder, isAlive, killProcesses, observeProcess } from './processes.ts'
import { waitUntil } from './wait.ts'

async function spawn(env: Record<string, string>, argv = ['sleep', '60']) {
  const child = Bun.spawn(argv, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  // For a moment within its exec a process has neither arguments nor environment.
  await waitUntil(() => readFileSync(`/proc/${child.pid}/environ`, 'utf8').includes('PATH='), {
    what: () => `the start of ${argv[0]}`,
    timeoutSeconds: 10,
  })
  return child
}

test('a process is known by its id and its start, and is gone once it was ended', async () => {
  const child = await spawn({})
  const reference = observeProcess(child.pid)
  expect(isAlive(reference)).toBe(true)
  expect(isAlive(reference && { ...reference, startTicks: reference.startTicks - 1 })).toBe(false)
  if (reference !== undefined) await killProcesses([reference])
  expect(isAlive(reference)).toBe(false)
  expect(observeProcess(2 ** 30)).toBeUndefined()
})

test('a process of another that took the same id is left alone', async () => {
  const child = await spawn({})
  const reference = observeProcess(child.pid)
  if (reference !== undefined) await killProcesses([{ ...reference, startTicks: 1 }])
  expect(isAlive(reference)).toBe(true)
  child.kill('SIGKILL')
  await child.exited
})

test('marked processes are found by the whole value of the mark', async () => {
  const value = `processes-test/${process.pid}`
  const marked = await spawn({ SLUICE_TEST_MARK: value })
  const other = await spawn({ SLUICE_TEST_MARK: `${value}0` })
  expect(findMarkedProcesses('SLUICE_TEST_MARK', value).map(({ pid }) => pid)).toEqual([marked.pid])
  for (const child of [marked, other]) {
    child.kill('SIGKILL')
    await child.exited
  }
})

test('a program is found by what it is given under a folder, and by no other word', async () => {
  const folder = `/tmp/processes-test-${process.pid}`
  const child = await spawn({}, ['sh', '-c', 'while :; do sleep 1; done', 'x', `${folder}/configuration`])
  expect(findProcessesOfFolder('sh', folder).map(({ pid }) => pid)).toEqual([child.pid])
  expect(findProcessesOfFolder('sh', folder.slice(0, -1))).toEqual([])
  expect(findProcessesOfFolder('nats-server', folder)).toEqual([])
  child.kill('SIGKILL')
  await child.exited
})
