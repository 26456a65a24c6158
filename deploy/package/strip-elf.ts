/**
 * Cuts what a native module does not need to be loaded: everything after its last loaded segment,
 * which is where linkers put debug information, the symbol table of the linker and the table of
 * sections. The dynamic symbols are in a segment and stay. `lmdb` is published with debug
 * information: 3.5 MB of which 0.7 are loaded, on a device that pays for each.
 */
import { RunnelError } from '@runnel/shared/errors.ts';

const HEADER_BYTES = 64;
/** Where ELF64 keeps the offset of its sections, and their size, count and index of names. */
const SECTION_OFFSET = 40;
const SECTION_COUNTS = 58;
/** `PT_LOAD` and what else the loader reads lies in the file up to there. */
const SEGMENT = { offset: 8, fileSize: 32 } as const;

/** The module without it. Error `not_elf`: anything but a 64-bit little-endian ELF file. */
export function stripElf(module: Buffer, name: string): Buffer {
  const isElf = module.length > HEADER_BYTES && module.readUInt32BE(0) === 0x7f454c46;
  if (!isElf || module[4] !== 2 || module[5] !== 1) {
    throw new RunnelError('not_elf', `${name} is no 64-bit little-endian ELF file`);
  }
  const table = Number(module.readBigUInt64LE(32));
  const size = module.readUInt16LE(54);
  const count = module.readUInt16LE(56);
  let end = table + size * count;
  for (let index = 0; index < count; index += 1) {
    const at = table + index * size;
    const offset = Number(module.readBigUInt64LE(at + SEGMENT.offset));
    end = Math.max(end, offset + Number(module.readBigUInt64LE(at + SEGMENT.fileSize)));
  }
  const stripped = Buffer.from(module.subarray(0, end));
  stripped.fill(0, SECTION_OFFSET, SECTION_OFFSET + 8);
  stripped.fill(0, SECTION_COUNTS, HEADER_BYTES);
  return stripped;
}
