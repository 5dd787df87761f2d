/**
 * The provider's schema as the generators of bindings and of documents read it: plain data, in one order, without the
 * functions that a schema also holds. Pure.
 */

export type NounKind = 'provider' | 'resource' | 'data-source' | 'ephemeral-resource'

export interface NounModel {
  readonly kind: NounKind
  /** As Terraform names it: `sluice_network`. */
  readonly name: string
  readonly description: string
  /** What its attributes must be together, in words. */
  readonly rules: readonly string[]
  readonly attributes: readonly AttributeModel[]
  readonly blocks: readonly BlockModel[]
  /** How `import` names one; null: it can't be imported. */
  readonly importId: string | null
}

export interface AttributeModel {
  /** As HCL has it: `member_port`. */
  readonly name: string
  /** As the API and TypeScript have it: `memberPort`. */
  readonly property: string
  readonly description: string
  readonly type: TypeModel
  readonly isRequired: boolean
  readonly isOptional: boolean
  readonly isSensitive: boolean
  readonly isWriteOnly: boolean
  /** Whether another value makes another object. */
  readonly replaces: 'never' | 'sometimes' | 'always'
  /** As HCL writes it; null: there is none. */
  readonly defaultText: string | null
  /** What it is checked for offline, in words. */
  readonly constraints: readonly string[]
}

export type TypeModel =
  | { readonly kind: 'string'; readonly oneOf: readonly string[] | null }
  | { readonly kind: 'number' | 'bool' }
  | { readonly kind: 'list' | 'set' | 'map'; readonly of: TypeModel }
  | { readonly kind: 'object'; readonly attributes: readonly AttributeModel[] }

/** As `timeouts { create = "5m" }`. */
export interface BlockModel {
  readonly name: string
  readonly property: string
  readonly description: string
  readonly attributes: readonly AttributeModel[]
}

export interface FunctionModel {
  readonly name: string
  readonly summary: string
  readonly description: string
  readonly parameters: readonly { readonly name: string; readonly description: string; readonly type: TypeModel }[]
  readonly returns: TypeModel
}

export interface ProviderModel {
  readonly provider: NounModel
  readonly resources: readonly NounModel[]
  readonly dataSources: readonly NounModel[]
  readonly ephemeralResources: readonly NounModel[]
  readonly functions: readonly FunctionModel[]
}

/** The objects' attributes within a type, however deep in lists and maps; null: it holds none. */
export function objectWithin(type: TypeModel): readonly AttributeModel[] | null {
  switch (type.kind) {
    case 'string':
    case 'number':
    case 'bool':
      return null
    case 'list':
    case 'set':
    case 'map':
      return objectWithin(type.of)
    case 'object':
      return type.attributes
    default:
      return type satisfies never
  }
}

export const isGiven = ({ isRequired, isOptional }: AttributeModel) => isRequired || isOptional
