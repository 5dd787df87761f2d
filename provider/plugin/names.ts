/** Names: a schema declares camelCase, as an API's JSON has it; HCL and the wire have snake_case. */

/** @example `toSnakeCase('projectId') // 'project_id'` */
export const toSnakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
