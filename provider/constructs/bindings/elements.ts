/**
 * What all generated bindings are made of: a resource, a data source and a provider that turn what they were given into
 * Terraform's attributes by their shape, and the lists and maps of objects that they give out.
 */

import * as cdktf from 'cdktf'
import type { Construct } from 'constructs'
import { attributesOf, type Fields, hclAttributesOf } from './shape.ts'

/** May be changed until it is synthesized, as by an aspect. */
export type Input<Config> = { -readonly [Key in keyof Config]: Config[Key] }

/** One of the choices, which an editor offers; or a token, which is text. */
export type Text<Choice extends string> = Choice | (string & Record<never, never>)

/** What a binding is of. */
export interface Binding {
  readonly type: string
  readonly fields: Fields
}

const providerName = 'sluice'
const providerSource = 'sluice/sluice'
/** Names and types of the bindings are those of this version of the provider, and may be others in the next. */
const providerVersionConstraint = '~> 0.1.0'
const terraformGeneratorMetadata = { providerName, providerVersionConstraint }

export abstract class Resource<Config extends cdktf.TerraformMetaArguments> extends cdktf.TerraformResource {
  readonly input: Input<Config>
  readonly #fields: Fields

  constructor(scope: Construct, id: string, binding: Binding, config: Config) {
    super(scope, id, { ...config, terraformResourceType: binding.type, terraformGeneratorMetadata })
    this.input = { ...config }
    this.#fields = binding.fields
  }

  protected override synthesizeAttributes(): Record<string, unknown> {
    return attributesOf(this.#fields, this.input)
  }

  protected override synthesizeHclAttributes(): Record<string, unknown> {
    return hclAttributesOf(this.#fields, this.input)
  }
}

export abstract class DataSource<Config extends cdktf.TerraformMetaArguments> extends cdktf.TerraformDataSource {
  readonly input: Input<Config>
  readonly #fields: Fields

  constructor(scope: Construct, id: string, binding: Binding, config: Config) {
    super(scope, id, { ...config, terraformResourceType: binding.type, terraformGeneratorMetadata })
    this.input = { ...config }
    this.#fields = binding.fields
  }

  protected override synthesizeAttributes(): Record<string, unknown> {
    return attributesOf(this.#fields, this.input)
  }

  protected override synthesizeHclAttributes(): Record<string, unknown> {
    return hclAttributesOf(this.#fields, this.input)
  }
}

export abstract class Provider<Config extends { readonly alias?: string | undefined }> extends cdktf.TerraformProvider {
  readonly input: Input<Config>
  readonly #fields: Fields

  constructor(scope: Construct, id: string, fields: Fields, config: Config) {
    super(scope, id, {
      terraformResourceType: providerName,
      terraformGeneratorMetadata,
      terraformProviderSource: providerSource,
    })
    this.input = { ...config }
    this.#fields = fields
  }

  override get alias(): string | undefined {
    return this.input.alias
  }

  protected override synthesizeAttributes(): Record<string, unknown> {
    return attributesOf(this.#fields, this.input)
  }

  protected override synthesizeHclAttributes(): Record<string, unknown> {
    return hclAttributesOf(this.#fields, this.input)
  }
}

/** An object that Terraform knows after the apply: one on its own, or one of a list or a map. */
export type OutputClass<Item> = new (
  parent: cdktf.IInterpolatingParent,
  attribute: string,
  isFromSet: boolean,
  indexOrKey?: number | string,
) => Item

export class OutputList<Item> extends cdktf.ComplexList {
  readonly #of: OutputClass<Item>

  constructor(parent: cdktf.IInterpolatingParent, attribute: string, of: OutputClass<Item>) {
    super(parent, attribute, false)
    this.#of = of
  }

  get(index: number): Item {
    return new this.#of(this.terraformResource, this.terraformAttribute, false, index)
  }
}

/** A set has no order; the one that is given out is that of `tolist`. */
export class OutputSet<Item> extends cdktf.ComplexList {
  readonly #of: OutputClass<Item>

  constructor(parent: cdktf.IInterpolatingParent, attribute: string, of: OutputClass<Item>) {
    super(parent, attribute, true)
    this.#of = of
  }

  get(index: number): Item {
    return new this.#of(this.terraformResource, this.terraformAttribute, true, index)
  }
}

export class OutputMap<Item> extends cdktf.ComplexMap {
  readonly #of: OutputClass<Item>

  constructor(parent: cdktf.IInterpolatingParent, attribute: string, of: OutputClass<Item>) {
    super(parent, attribute)
    this.#of = of
  }

  get(key: string): Item {
    return new this.#of(this.terraformResource, this.terraformAttribute, false, `"${key}"`)
  }
}
