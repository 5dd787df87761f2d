/**
 * Text that means itself: in a stack every string is a template, of Terraform's and before that of CDKTF's, so what a user
 * writes (a name, user-data) must not be read as one. Pure.
 */

/** `${` and `%{` become expressions that yield their first characters: CDKTF's own escape leaves its tokens in. */
export const literal = (text: string): string => text.replace(/[$%]+\{/g, (opening) => `\${"${opening.slice(0, -1)}"}{`)
