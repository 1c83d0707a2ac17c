/** What a page's accessibility faults are found by: three functions, one object of them; see accessibility.py. */
({
  structure: (targetPx) => {
    const found = [];
    const shown = (one) => one.checkVisibility({ visibilityProperty: true });
    const told = (one) => `${one.tagName.toLowerCase()}${one.id ? `#${one.id}` : ''} ${(one.textContent ?? '').trim().slice(0, 40)}`.trim();
    const byIds = (ids) => (ids ?? '').split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent ?? '').join(' ').trim();
    const nameOf = (one) => (one.getAttribute('aria-label') ?? '').trim() || byIds(one.getAttribute('aria-labelledby'))
        || [...(one.labels ?? [])].map((label) => label.textContent.trim()).join(' ').trim()
        || (['INPUT', 'SELECT', 'TEXTAREA'].includes(one.tagName) ? one.title : `${one.textContent.trim()}${[...one.querySelectorAll('img')].map((img) => img.alt).join(' ')}`.trim() || one.title);

    if (!document.documentElement.lang) found.push('the page has no language');
    if (!document.title) found.push('the page has no title');
    const mains = [...document.querySelectorAll('main')].filter(shown);
    if (mains.length !== 1) found.push(`${mains.length} main regions`);
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) found.push(`two elements have the id ${id}`);

    for (const one of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=tab]')) {
        if (shown(one) && !nameOf(one)) found.push(`no name: ${told(one)}`);
    }
    for (const one of document.querySelectorAll('nav, section[aria-labelledby], form')) {
        if (shown(one) && one.hasAttribute('aria-labelledby') && !byIds(one.getAttribute('aria-labelledby'))) found.push(`labelled by nothing: ${told(one)}`);
    }
    const names = [...document.querySelectorAll('nav')].filter(shown).map(nameOf);
    if (names.some((name) => !name) || new Set(names).size < names.length) found.push(`navigation regions are not told apart: ${names}`);

    const levels = [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].filter(shown);
    let before = 0;
    for (const one of levels) {
        const level = Number(one.tagName[1]);
        if (before && level > before + 1) found.push(`heading ${level} after ${before}: ${told(one)}`);
        if (!one.textContent.trim()) found.push('an empty heading');
        before = level;
    }
    if (levels.filter(({ tagName }) => tagName === 'H1').length > 1) found.push('more than one first heading');

    for (const one of document.querySelectorAll('img')) if (!one.hasAttribute('alt')) found.push(`no alt text: ${one.src}`);
    for (const one of document.querySelectorAll('svg')) {
        const isNamed = one.getAttribute('aria-label') || one.getAttribute('aria-labelledby');
        if (shown(one) && !isNamed && !one.closest('[aria-hidden=true]')) found.push(`a drawing is neither named nor hidden: ${told(one.parentElement)}`);
    }
    for (const one of document.querySelectorAll('table')) {
        if (shown(one) && !one.querySelector('th[scope]')) found.push(`a table without headers: ${told(one)}`);
    }
    for (const one of document.querySelectorAll('ul, ol')) {
        const odd = [...one.children].find(({ tagName }) => !['LI', 'SCRIPT', 'TEMPLATE'].includes(tagName));
        if (odd) found.push(`${told(odd)} in a list`);
    }
    for (const one of document.querySelectorAll('[aria-controls], [aria-describedby], [aria-labelledby]')) {
        for (const name of ['aria-controls', 'aria-describedby', 'aria-labelledby']) {
            for (const id of (one.getAttribute(name) ?? '').split(/\s+/).filter(Boolean)) if (!document.getElementById(id)) found.push(`${name} names ${id}, which is not there`);
        }
    }
    for (const one of document.querySelectorAll('[aria-hidden=true] :is(a[href], button, input, select)')) if (one.tabIndex >= 0 && shown(one)) found.push(`hidden, but in the order of Tab: ${told(one)}`);
    for (const one of document.querySelectorAll('[tabindex]')) if (one.tabIndex > 0) found.push(`an order of its own: ${told(one)}`);

    const isInSentence = (one) => one.tagName === 'A' && [...one.parentElement.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    for (const one of document.querySelectorAll('a[href], button, select, summary, input:not([type=hidden])')) {
        const target = ['checkbox', 'radio', 'file'].includes(one.type) ? one.closest('label') ?? one : one;
        const { width, height } = target.getBoundingClientRect();
        if (!shown(one) || one.closest('.skip, .unseen') || isInSentence(one)) continue;
        if (width + 0.5 < targetPx || height + 0.5 < targetPx) found.push(`${Math.round(width)} x ${Math.round(height)} px: ${told(one)}`);
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push(`wider than the window by ${document.documentElement.scrollWidth - innerWidth} px`);
    return found;
},

  nTabbable: () => {
    const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
    const shown = all.filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.tabIndex >= 0);
    const radios = new Set();
    return shown.filter((one) => one.type !== 'radio' || (!radios.has(one.name) && radios.add(one.name))).length;
},

  focused: () => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const style = getComputedStyle(one);
    const around = [one, one.closest('label')].filter(Boolean).map((each) => getComputedStyle(each));
    const isOutlined = around.some(({ outlineStyle, outlineWidth }) => outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1);
    const drawn = [...document.querySelectorAll('*')];
    const name = `${one.tagName} ${(one.id || one.textContent || one.name || '').trim().slice(0, 40)}`;
    return { index: drawn.indexOf(one), isShown: isOutlined || style.boxShadow !== 'none', name };
},
})
