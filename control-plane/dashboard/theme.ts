/**
 * Light or dark: the system's wish, unless the reader chose. The choice is kept in this browser; a
 * browser that refuses storage still switches, for as long as the page is open.
 */
import { Observable } from './live/observable.ts';

export type Theme = 'light' | 'dark';

const STORED = 'runnel-theme';
const prefersDark = matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(STORED);
    return value === 'light' || value === 'dark' ? value : null;
  } catch (error) {
    console.info('the chosen theme cannot be kept in this browser', error);
    return null;
  }
}

let chosen = stored();

export const theme = new Observable<Theme>(effective());

function effective(): Theme {
  return chosen ?? (prefersDark.matches ? 'dark' : 'light');
}

function apply(): void {
  document.documentElement.dataset.theme = effective();
  theme.set(effective());
}

export function startTheme(): void {
  prefersDark.addEventListener('change', apply);
  apply();
}

export function toggleTheme(): void {
  chosen = effective() === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem(STORED, chosen);
  } catch (error) {
    console.info('the chosen theme cannot be kept in this browser', error);
  }
  apply();
}
