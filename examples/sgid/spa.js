const at = id => document.getElementById(id), json = {headers: {Accept: 'application/json'}};

async function show() {
	const answer = await fetch('/auth/userinfo', json), user = answer.ok ? await answer.json() : null;
	const name = user ? user.data['myinfo.name'] || 'Hello' : '';
	at('hello').textContent = user ? name : answer.status === 401 ? 'You are signed out' : 'sgID did not answer';
	at('likes').textContent = user ? 'You like ' + user.ice_cream + '. A script fetched all that you see.' : '';
	at('initials').textContent = name.split(' ').filter(word => word).map(word => word[0]).filter((_, i, all) => i === 0 || i === all.length - 1).join('');
	at('initials').hidden = !user;
	at('in').hidden = answer.status !== 401;
	at('out').hidden = answer.status === 401;
	const facts = user ? [...Object.entries(user.data).sort(), ['sub', user.sub]] : [];
	at('data').replaceChildren(...facts.flatMap(([scope, text]) => [element('dt', label(scope)), value(text)]));
}

const element = (name, text) => Object.assign(document.createElement(name), {textContent: text});

// value shows a text as it is, and the JSON of a list with a line for each of its members.
function value(text) {
	const dd = element('dd', text);
	if (text.startsWith('[')) dd.replaceChildren(element('pre', JSON.stringify(JSON.parse(text), null, '  ')));
	return dd;
}

// label makes "Date of birth" of "myinfo.date_of_birth".
function label(scope) {
	const words = scope.slice(scope.indexOf('.') + 1).replaceAll('_', ' ');
	return scope.includes('.') ? words[0].toUpperCase() + words.slice(1) : scope;
}

at('in').onsubmit = async event => {
	event.preventDefault();
	const answer = await fetch('/auth/login?return_to=/spa&app_data=' + encodeURIComponent(at('in').app_data.value), json);
	if (answer.ok) location.assign((await answer.json()).url);
};
at('out').onclick = async () => { await fetch('/auth/logout', {method: 'POST', ...json}); show(); };
show();
