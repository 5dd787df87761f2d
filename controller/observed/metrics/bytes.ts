/** Bytes written one after the other and read again: variable-length integers, texts, and bytes as they are. Pure. */

const beginningBytes = 256
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Integers beyond this have no exact form here. */
export const integerMaximum = 2 ** 51

export class ByteWriter {
  private buffer = new Uint8Array(beginningBytes)
  private end = 0

  get length(): number {
    return this.end
  }

  byte(value: number): void {
    this.reserve(1)
    this.buffer[this.end++] = value
  }

  /** 0 or more, seven bits a byte, the lowest first. */
  unsigned(value: number): void {
    this.reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.buffer[this.end++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.end++] = rest
  }

  /** Small ones are short, whatever their sign. */
  signed(value: number): void {
    this.unsigned(value >= 0 ? 2 * value : -2 * value - 1)
  }

  bytes(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.end)
    this.end += bytes.length
  }

  /** With its length ahead of it. */
  part(bytes: Uint8Array): void {
    this.unsigned(bytes.length)
    this.bytes(bytes)
  }

  text(text: string): void {
    this.part(encoder.encode(text))
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.end)
  }

  private reserve(bytes: number): void {
    if (this.end + bytes <= this.buffer.length) return
    const larger = new Uint8Array(Math.max(2 * this.buffer.length, this.end + bytes))
    larger.set(this.buffer.subarray(0, this.end))
    this.buffer = larger
  }
}

/** What ends too early, or can't be, throws a RangeError. */
export class ByteReader {
  private readonly buffer: Uint8Array
  private at = 0

  constructor(buffer: Uint8Array) {
    this.buffer = buffer
  }

  byte(): number {
    const value = this.buffer[this.at++]
    if (value === undefined) throw new RangeError('the bytes end too early')
    return value
  }

  unsigned(): number {
    let byte = this.byte()
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    for (let factor = 0x80; ; factor *= 0x80) {
      byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      if (factor > integerMaximum) throw new RangeError('an integer is too long')
    }
  }

  signed(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  bytes(length: number): Uint8Array {
    if (this.at + length > this.buffer.length) throw new RangeError('the bytes end too early')
    this.at += length
    return this.buffer.subarray(this.at - length, this.at)
  }

  part(): Uint8Array {
    return this.bytes(this.unsigned())
  }

  text(): string {
    return decoder.decode(this.part())
  }
}
