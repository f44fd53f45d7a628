// The pages a person sees. Each has one <main> whose id says which step it is; tests/rig/browser.py
// reads that id and submits the forms, as a browser would.

export function inputPage(form, problem) {
  return page('enter-code', 'Enter the code', `
    ${alert(problem)}
    <p>Type the code that your device shows.</p>
    ${form}
    <button type="submit" form="op.deviceInputForm">Continue</button>`);
}

export function confirmPage(form, client, userCode) {
  return page('confirm', 'Is this your device?', `
    <p>${escape(client.clientName ?? client.clientId)} asks to sign you in. Your device must show this code:</p>
    <p><code>${escape(userCode)}</code></p>
    ${form}
    <button type="submit" form="op.deviceConfirmForm">Continue</button>
    <button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button>`);
}

export function loginPage(action) {
  return page('login', 'Sign in', `
    <form method="post" action="${escape(action)}">
      <p><label>Login name <input name="login" type="text" required autofocus></label></p>
      <p><label>Password <input name="password" type="password" required></label></p>
      <p><button type="submit">Sign in</button>
         <button type="submit" name="abort" value="yes" formnovalidate>Cancel</button></p>
    </form>`);
}

export function consentPage(action, client, details) {
  const wanted = [...(details.missingOIDCScope ?? []), ...(details.missingOIDCClaims ?? [])];
  return page('consent', 'Allow access?', `
    <p>${escape(client.clientName ?? client.clientId)} asks for:</p>
    <ul>${wanted.map((scope) => `<li>${escape(scope)}</li>`).join('')}</ul>
    <form method="post" action="${escape(action)}">
      <button type="submit" autofocus>Allow</button>
      <button type="submit" name="abort" value="yes">Refuse</button>
    </form>`);
}

export function donePage() {
  return page('done', 'Signed in', '<p>You can close this page and go back to your device.</p>');
}

export function errorPage(problem) {
  return page('error', 'That did not work', alert(problem));
}

function alert(problem) {
  return problem ? `<p role="alert">${escape(problem)}</p>` : '';
}

function page(id, title, body) {
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title></head>
<body><main id="${id}"><h1>${escape(title)}</h1>${body}</main></body>
</html>`;
}

function escape(text) {
  return String(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
