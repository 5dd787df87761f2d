/** The `sluice` command with all its nouns, each of which is a file beside it. Runs nothing by itself. */

import { Command } from 'commander'
import type { Api } from './api.ts'
import { doctorCommand } from './doctor.ts'
import { labCommand } from './lab.ts'
import { logsCommand } from './logs/logs.ts'
import { nounCommand } from './noun.ts'
import { addressCommand } from './nouns/address.ts'
import { attachmentCommands, networkNoun, poolNoun, reservationCommands, shardNoun } from './nouns/address-space.ts'
import { breakerCommand } from './nouns/breaker.ts'
import { controllerCommand } from './nouns/controller.ts'
import { escalationCommand } from './nouns/escalation.ts'
import { eventCommand } from './nouns/event.ts'
import { historyCommand } from './nouns/history.ts'
import { hostNoun } from './nouns/host.ts'
import { hypervisorCommand } from './nouns/hypervisor.ts'
import { loadBalancerNoun } from './nouns/load-balancer.ts'
import { machineNoun } from './nouns/machine.ts'
import { memberCommand } from './nouns/member.ts'
import { microshardCommand } from './nouns/microshard.ts'
import { migrationCommand, shardMigrationCommands } from './nouns/migration.ts'
import { nodeCommand } from './nouns/node.ts'
import { policyCommand } from './nouns/policy.ts'
import { predictionCommand } from './nouns/prediction.ts'
import { projectNoun } from './nouns/project.ts'
import { providerCommand } from './nouns/provider.ts'
import { explainCommand } from './nouns/scaling.ts'
import { compactCommand, poolSpaceCommands } from './nouns/space.ts'
import { stackCommand } from './nouns/stack.ts'
import { statusCommand } from './nouns/status.ts'
import { storeCommand } from './nouns/store.ts'
import { tokenNoun } from './nouns/token.ts'
import { balancerTopCommand, hostTopCommand } from './top/top.ts'

/** @example await createProgram(() => connectToController()).parseAsync(['shard', 'list'], { from: 'user' }) */
export function createProgram(connect: () => Api): Command {
  const program = new Command('sluice')
    .description('Load balancers as a service and movable address space for a rack of plain Linux/KVM hosts')
    .enablePositionalOptions()
    .showHelpAfterError('(--help tells what there is)')
  for (const command of [
    statusCommand(connect),
    nounCommand(projectNoun, connect, [policyCommand(connect, 'project')]),
    nounCommand(tokenNoun, connect),
    nounCommand(poolNoun, connect, poolSpaceCommands(connect)),
    nounCommand(shardNoun, connect, [
      ...attachmentCommands(connect),
      ...reservationCommands(connect),
      ...shardMigrationCommands(connect),
    ]),
    migrationCommand(connect),
    addressCommand(connect),
    nounCommand(networkNoun, connect, [policyCommand(connect, 'network'), compactCommand(connect)]),
    nounCommand(machineNoun, connect),
    nounCommand(loadBalancerNoun, connect, [
      explainCommand(connect),
      logsCommand(connect),
      balancerTopCommand(connect),
    ]),
    memberCommand(connect),
    nounCommand(hostNoun, connect, [hostTopCommand(connect), hypervisorCommand(connect)]),
    microshardCommand(connect),
    predictionCommand(connect),
    nodeCommand(connect),
    controllerCommand(connect),
    storeCommand(connect),
    stackCommand(connect),
    breakerCommand(connect),
    escalationCommand(connect),
    historyCommand(connect),
    eventCommand(connect),
    providerCommand(),
    labCommand(),
    doctorCommand(),
  ]) {
    program.addCommand(command)
  }
  return program
}
