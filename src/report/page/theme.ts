// The page's colours: as the system has them until a button is pressed. Touches nothing but the root element and its buttons.

const group = document.querySelector<HTMLElement>('.theme')!;
const buttons = [...group.querySelectorAll<HTMLButtonElement>('button')];

function choose(theme: string): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.theme === theme));
}

for (const button of buttons) button.addEventListener('click', () => choose(button.dataset.theme!));
group.hidden = false;
