import { describe, expect, test } from 'bun:test'
import { littleProvider } from './little-provider.ts'
import { readProvider } from './read-provider.ts'
import { renderDocuments } from './render-documents.ts'

const snippets = {
  provider: 'provider "test" {}\n',
  'resource/test_note': 'resource "test_note" "example" {}\n',
  'data-source/test_note': 'data "test_note" "example" {}\n',
  'ephemeral-resource/test_pass': 'ephemeral "test_pass" "example" {}\n',
  'function/shout': 'output "loud" { value = provider::test::shout("a", 1) }\n',
}
const model = readProvider(littleProvider)
const pages = new Map(renderDocuments(model, snippets).map(({ path, text }) => [path, text]))
const page = (path: string) => pages.get(path) ?? `no ${path}`

describe('the documents of a little provider', () => {
  test("are laid out as Terraform's registry reads them", () => {
    expect([...pages.keys()].toSorted()).toEqual([
      'data-sources/note.md',
      'ephemeral-resources/pass.md',
      'functions/shout.md',
      'index.md',
      'resources/note.md',
    ])
  })

  const rows: readonly (readonly [string, string, string])[] = [
    ['front matter is for the registry', 'resources/note.md', '---\n# Generated'],
    ['an example is shown', 'resources/note.md', '```terraform\nresource "test_note" "example" {}\n```'],
    ['attributes are told by presence', 'resources/note.md', '### Required\n\n- `title` (string) One line.'],
    ['with choices, default and replacement', 'resources/note.md', 'One of `red`, `blue`. Default: `"red"`.'],
    ['write-only is told', 'resources/note.md', '- `password` (string, write-only) Never kept.'],
    [
      'nested attributes have a section',
      'resources/note.md',
      '- `port` (required, number) Of the host. Must be a port, 1 to 65535.',
    ],
    ['and are linked', 'resources/note.md', 'See [below](#test-note-links)'],
    ['blocks as well', 'resources/note.md', '- `timeouts` (block) How long operations may take.'],
    ['import is shown', 'resources/note.md', '## Import'],
    ['a function has a signature', 'functions/shout.md', 'shout(text string, times number) string'],
    ['the index links all', 'index.md', '- [test_note](resources/note.md)'],
  ]
  for (const [sentence, path, text] of rows) test(sentence, () => expect(page(path)).toContain(text))

  test('a page without a snippet is a mistake', () => {
    const { 'resource/test_note': _, ...others } = snippets
    expect(() => renderDocuments(model, others)).toThrow('has no resource/test_note.tf')
  })
})
