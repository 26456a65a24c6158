/** For pacing a load or a poll; never for waiting until something has happened. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
